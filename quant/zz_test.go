package quant
import ("testing";"os";"encoding/json";"fmt";"github.com/trtforge/trtforge/onnx";"github.com/trtforge/trtforge/calib")
func TestZZ(t *testing.T){
 m,err:=onnx.Load("/tmp/smooth/demo/model.onnx"); if err!=nil{t.Fatal(err)}
 b,_:=os.ReadFile("/tmp/smooth/table.json"); var tb calib.Table; if err:=json.Unmarshal(b,&tb);err!=nil{t.Fatal(err)}
 all:=Policy{Roles:[]Role{QKV,AttnOut,FC1,FC2}}
 do:=func(name string,p Policy,o *SmoothOptions){ g,tt:=m,&tb
  if o!=nil{ o.Policy=p; var f []Fold; g,tt,f,err=Smooth(m,&tb,*o); if err!=nil{t.Fatal(err)}
   for _,x:=range f{fmt.Printf("%-40s %v %v %.2f %.3g -> %.3g into %s added %v kv %v: %s\n",x.Tensor,x.Role,x.Folded,x.Alpha,x.Before,x.After,x.Into,x.Added,x.KV,x.Reason)}
   if err:=onnx.Save(g,"/tmp/smooth/"+name+"_fp32.onnx",onnx.SaveOptions{});err!=nil{t.Fatal(err)}}
  q,_,err:=Int8(g,tt,p); if err!=nil{t.Fatal(err)}
  if err:=onnx.Save(q,"/tmp/smooth/"+name+".onnx",onnx.SaveOptions{});err!=nil{t.Fatal(err)} }
 do("us_plain",all,nil); do("us_all",all,&SmoothOptions{}); do("us_nonodes",all,&SmoothOptions{NoNodes:true}); do("us_default",Policy{},&SmoothOptions{}); do("us_defplain",Policy{},nil)
}
